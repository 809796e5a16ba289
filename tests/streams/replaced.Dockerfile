FROM python:3.11-slim AS builder
WORKDIR /app
COPY requirements.txt /app/
FROM python:3.11-slim
COPY --from=builder /app /app
RUN echo hi
