FROM python:3.11-slim AS build
WORKDIR /microblog
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY babel.cfg config.py microblog.py ./
COPY app app
RUN FLASK_APP=microblog.py flask translate compile

FROM python:3.11-slim
WORKDIR /microblog
ENV PATH=/venv/bin:$PATH FLASK_APP=microblog.py
RUN useradd --no-log-init app && chown app /microblog
COPY --from=build /venv /venv
COPY migrations migrations
COPY config.py microblog.py ./
COPY --from=build /microblog/app app
USER app
EXPOSE 5000
ENTRYPOINT ["sh", "-c", "flask db upgrade && exec gunicorn -b :5000 microblog:app"]
