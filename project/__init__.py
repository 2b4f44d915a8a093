# Celery's app must exist as soon as Django starts, so that tasks find it in every process.
from project.celery import app as celery_app

__all__ = ["celery_app"]
