FROM t1
RUN true
RUN echo waiting; sleep 60
RUN echo after
COPY main.py /
