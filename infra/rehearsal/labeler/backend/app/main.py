"""The sample labeler API: health, datasets, annotations."""

import json
from typing import Any, Dict, List, Optional

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, Field
from sqlalchemy import text

from app.config import settings
from app.db import health, labeler_engine

app = FastAPI(title=settings.app_name, version="1.0.0")


class NewDataset(BaseModel):
    name: str
    slug: str = "probe"
    tags: List[str] = Field(default_factory=list)


class NewAnnotation(BaseModel):
    project_id: int
    image_id: int
    class_code: str = "car"
    geometry: Dict[str, Any] = Field(default_factory=lambda: {"x": 0, "y": 0, "w": 2, "h": 3})
    note: Optional[str] = None


def one(query, **values):
    with labeler_engine.begin() as connection:
        return connection.execute(text(query), values).mappings().first()


def many(query, **values):
    with labeler_engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(query), values).mappings()]


def found(row, what):
    if row is None:
        raise HTTPException(status_code=404, detail=what + " not found")
    return dict(row)


@app.get("/health")
def get_health():
    return {"status": "healthy", "service": settings.app_name, "version": app.version}


@app.get("/health/db")
def get_health_db():
    return health()


DATASET = "id, name, slug, tags, created_at"
ANNOTATION = "id, project_id, image_id, class_code, geometry, area, state, note, created_at"


@app.get("/api/v1/datasets")
def list_datasets(limit: int = 20):
    return many(f"SELECT {DATASET} FROM datasets ORDER BY id LIMIT :limit", limit=limit)


@app.post("/api/v1/datasets", status_code=201)
def create_dataset(new: NewDataset):
    query = f"INSERT INTO datasets (name, slug, tags) VALUES (:name, :slug, :tags) RETURNING {DATASET}"
    return dict(one(query, **new.model_dump()))


@app.get("/api/v1/datasets/{id}")
def read_dataset(id: int):
    return found(one(f"SELECT {DATASET} FROM datasets WHERE id = :id", id=id), "dataset")


@app.delete("/api/v1/datasets/{id}", status_code=204)
def delete_dataset(id: int):
    found(one("DELETE FROM datasets WHERE id = :id RETURNING id", id=id), "dataset")
    return Response(status_code=204)


@app.get("/api/v1/annotations")
def list_annotations(limit: int = 20):
    return many(f"SELECT {ANNOTATION} FROM annotations ORDER BY id LIMIT :limit", limit=limit)


@app.post("/api/v1/annotations", status_code=201)
def create_annotation(new: NewAnnotation):
    values = new.model_dump()
    values["geometry"] = json.dumps(values["geometry"])
    query = f"""
        INSERT INTO annotations (project_id, image_id, class_code, geometry, note)
        VALUES (:project_id, :image_id, :class_code, CAST(:geometry AS jsonb), :note)
        RETURNING {ANNOTATION}
    """
    return dict(one(query, **values))


@app.get("/api/v1/annotations/{id}")
def read_annotation(id: int):
    return found(one(f"SELECT {ANNOTATION} FROM annotations WHERE id = :id", id=id), "annotation")


@app.delete("/api/v1/annotations/{id}", status_code=204)
def delete_annotation(id: int):
    found(one("DELETE FROM annotations WHERE id = :id RETURNING id", id=id), "annotation")
    return Response(status_code=204)
