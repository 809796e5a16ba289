FROM t1 AS first
RUN sleep 0.6
FROM t1 AS second
RUN sleep 1
FROM t1
COPY --from=first /etc/hostname /1
COPY --from=second /etc/hostname /2
