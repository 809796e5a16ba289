FROM scratch
COPY a /1
COPY a /2
COPY a /3
COPY a /4
COPY a /5
COPY a /6
COPY a /7
COPY a /8
COPY a /9
COPY a /10
COPY a /11
