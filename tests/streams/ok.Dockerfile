FROM t1 AS builder
WORKDIR /app
COPY requirements.txt .
RUN sleep 0.5
FROM t1
ENV A=1
COPY --from=builder --link /app /app
COPY --link main.py /app/
RUN <<EOF
echo one
echo two >&2
EOF
CMD ["python","/app/main.py"]
