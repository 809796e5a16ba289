FROM t1
RUN --mount=type=wrong true
