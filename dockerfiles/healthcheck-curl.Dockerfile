# layerlab.title: A health check with curl, which the slim base has not
# layerlab.teaches: The probe runs inside the container: its command must be there, or a working app is called unhealthy
# layerlab.labs: healthcheck
# layerlab.expect.healthcheck.fault: any
# layerlab.expect.healthcheck.start: unhealthy
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
EXPOSE 8000
HEALTHCHECK --interval=1s --timeout=1s --retries=2 CMD curl --fail http://localhost:8000/health
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
