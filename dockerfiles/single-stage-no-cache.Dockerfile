# layerlab.title: Single stage on the full base, pip keeps no cache
# layerlab.teaches: pip keeps what it downloads for its next run, and an image has none; how much, the package index decides (Cache-Control)
# layerlab.labs: image-size
# layerlab.differs-from: single-stage: pip keeps no cache
# layerlab.expect.image-size.effect: any
# layerlab.expect.image-size.compilers: kept
FROM python:3.11
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
