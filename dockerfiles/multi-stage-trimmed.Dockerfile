# layerlab.title: Two stages, trimmed
# layerlab.teaches: Tests, type stubs, C sources and debug symbols come with packages, and no running app reads them
# layerlab.labs: image-size
# layerlab.differs-from: multi-stage-no-bytecode: no tests, sources, symbols
FROM python:3.11 AS builder
WORKDIR /app
COPY requirements.txt .
RUN pip install --user --no-cache-dir --no-compile -r requirements.txt \
    && cd /root/.local/lib/python3.11/site-packages \
    && find . -type d \( -name tests -o -name test -o -name __pycache__ \) -prune -exec rm -rf {} + \
    && find . -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete \
    && find . -type f -name '*.so' -exec strip --strip-unneeded {} +

FROM python:3.11-slim
WORKDIR /app
COPY --from=builder /root/.local /root/.local
ENV PATH=/root/.local/bin:$PATH
COPY . .
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
