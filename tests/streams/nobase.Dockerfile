FROM nosuchimage:9
RUN true
