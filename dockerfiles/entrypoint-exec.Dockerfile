# layerlab.title: An entrypoint script that ends with exec
# layerlab.teaches: exec "$@" makes the app PID 1 in the place of the script, and the signal reaches it
# layerlab.labs: shutdown
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
RUN printf '%s\n' '#!/bin/sh' 'set -e' 'echo "starting $1"' 'exec "$@"' > /entrypoint.sh && chmod +x /entrypoint.sh
COPY . .
EXPOSE 8000
ENTRYPOINT ["/entrypoint.sh"]
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000"]
