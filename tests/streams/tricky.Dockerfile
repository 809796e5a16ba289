# escape=`
# syntax of nothing
ARG tag=latest
FROM --platform=$BUILDPLATFORM t1:${tag:-x} AS Build
	run	echo C:\ `
 # comment

   and more
RUN <<one cat && cat <<-'two words'
FROM neither
one
	RUN nothing
	two words
RUN echo "use <<EOF here" '<<EOF' $((8<<1)) it\'s
workdir /a
SHELL ["/bin/sh", "-ec"]
from t1
ENV A=1 `
    B=2
copy --from=0 /etc/hostname /a
COPY --from=base:1 /etc/hostname /b
COPY --from=BUILD /etc/hostname /c
RUN --mount=type=bind,from=base:1,target=/m ls /m > /dev/null
COPY <<a <<b /texts/
RUN of a
a
RUN of b
b
RUN echo one ``
RUN echo end `
