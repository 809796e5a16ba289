FROM python:3.11
RUN pip install uv
WORKDIR /app
COPY . .
RUN uv sync --locked
EXPOSE 8000
CMD ["uv", "run", "fastapi", "run", "src/uv_docker_example"]
