# layerlab.title: Two stages, pip install --user
# layerlab.teaches: Build on the full base, run on the slim one, and copy only /root/.local across
# layerlab.expect.layer-cache.unrelated-edit: copy
# layerlab.differs-from: single-stage-compiler: compiler stays in its stage
FROM python:3.11 AS builder
WORKDIR /app
COPY requirements.txt .
RUN pip install --user --no-cache-dir -r requirements.txt

FROM python:3.11-slim
WORKDIR /app
COPY --from=builder /root/.local /root/.local
ENV PATH=/root/.local/bin:$PATH
COPY . .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
