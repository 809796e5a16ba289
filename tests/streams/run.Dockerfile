FROM t1
WORKDIR /app
RUN echo before && \
    echo problem >&2 && \
    exit 3
