# layerlab.title: Single stage on the slim base, with a compiler
# layerlab.teaches: The slim base has no compiler; a package without a wheel wants one, and here it stays in the image
# layerlab.labs: image-size
# layerlab.differs-from: single-stage-slim: a compiler added
# layerlab.expect.image-size.effect: larger
# layerlab.expect.image-size.compilers: kept
FROM python:3.11-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
