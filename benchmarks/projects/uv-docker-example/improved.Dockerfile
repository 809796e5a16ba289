FROM python:3.11-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /app
ENV UV_LINK_MODE=copy UV_NO_DEV=1
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,source=uv.lock,target=uv.lock \
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml \
    uv sync --locked --no-install-project
COPY pyproject.toml uv.lock README.md ./
COPY src src
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-editable

FROM python:3.11-slim
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY src src
ENV PATH=/app/.venv/bin:$PATH
EXPOSE 8000
CMD ["fastapi", "run", "src/uv_docker_example"]
