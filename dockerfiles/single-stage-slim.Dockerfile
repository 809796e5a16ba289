# layerlab.title: Single stage on the slim base
# layerlab.teaches: The slim base alone makes the image small; the order of steps still wastes the cache
# layerlab.expect.layer-cache.source-edit: install
# layerlab.expect.layer-cache.unrelated-edit: install
# layerlab.differs-from: single-stage-no-cache: slim base
FROM python:3.11-slim
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
