FROM t1
WORKDIR /srv
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/pip pip install --no-deps -r requirements.txt
COPY . .
