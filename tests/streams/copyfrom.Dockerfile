FROM t1 AS builder
RUN true
FROM t1
COPY --from=builder /nowhere /there
