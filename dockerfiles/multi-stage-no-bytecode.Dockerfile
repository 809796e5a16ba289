# layerlab.title: Two stages, no bytecode
# layerlab.teaches: Compiled bytecode is a quarter of the dependencies; without it the first import takes longer
# layerlab.labs: image-size
# layerlab.differs-from: multi-stage: no bytecode
FROM python:3.11 AS builder
WORKDIR /app
COPY requirements.txt .
RUN pip install --user --no-cache-dir --no-compile -r requirements.txt

FROM python:3.11-slim
WORKDIR /app
COPY --from=builder /root/.local /root/.local
ENV PATH=/root/.local/bin:$PATH
COPY . .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
