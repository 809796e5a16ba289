FROM t1
COPY main.py missing.txt /app/
