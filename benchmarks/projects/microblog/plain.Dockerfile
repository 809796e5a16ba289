FROM python:3.11
WORKDIR /microblog
COPY . .
RUN pip install -r requirements.txt
ENV FLASK_APP=microblog.py
RUN flask translate compile
EXPOSE 5000
ENTRYPOINT ["sh", "-c", "flask db upgrade && exec gunicorn -b :5000 microblog:app"]
