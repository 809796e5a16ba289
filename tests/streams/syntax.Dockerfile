# syntax=docker/dockerfile:1.4
FROM t1
RUN true
