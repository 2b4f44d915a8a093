# One image for the web server, the workers, the relay and the migrations: what a container does, its command says.

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
# pip stays in this stage. First the requirements alone: a change of the code installs nothing anew.
COPY requirements/base.txt requirements/
RUN python -m venv --without-pip /opt/venv && pip --python /opt/venv install --quiet -r requirements/base.txt
COPY . .
# Readable for everybody, whatever the umask of the checkout; compiled, for nobody may write here later on.
RUN chmod -R a+rX . && /opt/venv/bin/python -m compileall -q events library project workers
# The key signs nothing here and is in no layer: static files alone are collected.
RUN DEBUG=off SECRET_KEY=static-files-need-none VAR_DIR=/tmp/var STATIC_ROOT=/srv/static \
    /opt/venv/bin/python manage.py collectstatic --no-input --verbosity 0

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    VAR_DIR=/var/lib/library MEDIA_ROOT=/var/lib/library/media STATIC_ROOT=/srv/static ALIVE_FILE=/tmp/alive
# A volume that is mounted there for the first time takes over its owner.
RUN useradd --system --uid 10001 --home-dir /var/lib/library --shell /usr/sbin/nologin library \
    && install -d -o library -g library /var/lib/library /var/lib/library/media
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv/static /srv/static
COPY --from=build /app /app
WORKDIR /app
USER library
EXPOSE 8000
# Celery finishes what it runs, gunicorn what it answers. Give a worker 45 s or more: its pool may take 30 to end.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=180s --retries=6 CMD ["python", "-I", "deploy/alive.py", "web"]
CMD ["gunicorn", "--config", "python:project.serving", "project.wsgi:application"]
