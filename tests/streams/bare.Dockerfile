FROM t1 AS one
FROM t1
COPY --from=one /nowhere /there
