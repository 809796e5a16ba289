# layerlab.title: For development: the source comes in from outside, and the app restarts by itself
# layerlab.teaches: uvicorn --reload with watchfiles notices every saved, new and deleted file; without it, only saved ones
# layerlab.labs: live-reload
FROM python:3.11-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt watchfiles==1.3.0
COPY . .
# A file of bytecode counts as fresh if its source has the same size and second: too coarse for an editor.
ENV PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000", "--reload"]
