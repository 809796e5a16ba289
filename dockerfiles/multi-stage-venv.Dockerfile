# layerlab.title: Two stages, a virtual environment
# layerlab.teaches: A venv is one folder that any user can run; the builder's pip fills it, so that it carries none
# layerlab.expect.layer-cache.unrelated-edit: copy
FROM python:3.11 AS builder
RUN python -m venv --without-pip /opt/venv
WORKDIR /app
COPY requirements.txt .
RUN pip --python /opt/venv/bin/python install --no-cache-dir -r requirements.txt

FROM python:3.11-slim
COPY --from=builder /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY . .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
