# layerlab.title: Dependencies before source
# layerlab.teaches: What changes seldom comes first: requirements.txt alone decides whether pip runs again
# layerlab.expect.layer-cache.unrelated-edit: copy
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
