# layerlab.title: An entrypoint script that starts the app as a child
# layerlab.teaches: A script that runs "$@" stays PID 1 itself and passes no signal on, whatever form CMD has
# layerlab.labs: shutdown
# layerlab.expect.shutdown.stop: killed
# layerlab.expect.shutdown.request: lost
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
RUN printf '%s\n' '#!/bin/sh' 'set -e' 'echo "starting $1"' '"$@"' > /entrypoint.sh && chmod +x /entrypoint.sh
COPY . .
EXPOSE 8000
ENTRYPOINT ["/entrypoint.sh"]
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
