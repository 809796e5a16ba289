FROM t1
RUN echo connection refused; exit 7
