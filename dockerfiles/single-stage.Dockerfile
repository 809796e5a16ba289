# layerlab.title: Single stage, everything at once
# layerlab.teaches: COPY . . before pip install: every edit of any file installs all dependencies again
# layerlab.expect.layer-cache.source-edit: install
# layerlab.expect.layer-cache.unrelated-edit: install
# layerlab.expect.image-size.compilers: kept
# layerlab.expect.image-size.package-cache: any
FROM python:3.11
WORKDIR /app
COPY . .
RUN pip install -r requirements.txt
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
