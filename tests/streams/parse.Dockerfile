FROM t1
WORKDIR /app
RUNN pip install x
