# layerlab.title: A health check that gives a slow start too little time
# layerlab.teaches: Failures count from the end of the start period: one that is shorter than the start makes a good app unhealthy
# layerlab.labs: healthcheck
# layerlab.expect.healthcheck.fault: any
# layerlab.expect.healthcheck.start: unhealthy
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
ENV START_DELAY_SECONDS=7
EXPOSE 8000
HEALTHCHECK --interval=1s --timeout=1s --start-period=1s --retries=2 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=1)"]
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
