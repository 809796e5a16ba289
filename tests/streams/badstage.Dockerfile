FROM t1
COPY --from=nostage /a /b
