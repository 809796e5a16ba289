FROM t1
ADD http://127.0.0.1:1/file /file
