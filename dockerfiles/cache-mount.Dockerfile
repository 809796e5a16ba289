# layerlab.title: A cache mount for pip
# layerlab.teaches: When requirements do change, pip finds its downloads in a cache that is in no layer
# layerlab.expect.layer-cache.unrelated-edit: copy
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt
COPY . .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
