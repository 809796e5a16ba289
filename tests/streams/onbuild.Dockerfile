FROM onb:1
RUN echo own step

COPY main.py /app/
