FROM t1
WORKDIR /srv
COPY . .
RUN pip install --no-deps --no-cache-dir -r requirements.txt
