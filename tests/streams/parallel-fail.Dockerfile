FROM t1 AS slow
RUN sleep 5
FROM t1 AS wrong
RUN sleep 0.3 && exit 4
FROM t1
COPY --from=slow /etc/hostname /1
COPY --from=wrong /etc/hostname /2
