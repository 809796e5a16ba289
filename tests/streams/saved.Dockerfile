FROM scratch AS tools
COPY busybox /busybox
FROM scratch
ENV GREETING=hello NUMBER=42
COPY data /data
RUN --mount=type=bind,from=tools,target=/t ["/t/busybox", "sh", "-c", "echo 'second version of a, longer' > /data/a.txt; /t/busybox rm /data/b.txt"]
WORKDIR /empty
LABEL org.example.kept=yes
CMD ["/nothing", "--at-all"]
