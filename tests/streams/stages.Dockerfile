FROM t1 AS Base
RUN mkdir /out

FROM base AS tester
RUN echo a > /out/a
RUN echo b > /out/b

FROM scratch
COPY --from=Tester /out/a /a
COPY --from=1 /out/b /b
