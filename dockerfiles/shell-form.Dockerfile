# layerlab.title: CMD in shell form
# layerlab.teaches: /bin/sh -c is PID 1 and passes no signal on: docker stop waits out its grace and kills the app
# layerlab.labs: shutdown
# layerlab.expect.shutdown.stop: killed
# layerlab.expect.shutdown.request: lost
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
EXPOSE 8000
CMD uvicorn main:app --host 0.0.0.0 --port 8000
