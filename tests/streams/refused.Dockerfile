FROM 127.0.0.1:1/python:3.11
RUN true
