from django.urls import path

from storage import transfer_views, volume_transfer, volume_upload

app_name = "transfer"

urlpatterns = [
    path("images/<uuid:uuid>/upload", transfer_views.upload_state, name="upload_state"),
    path("images/<uuid:uuid>/upload/<int:offset>", transfer_views.upload_chunk, name="upload_chunk"),
    path("images/<uuid:uuid>/finish", transfer_views.upload_finish, name="upload_finish"),
    path("images/<uuid:uuid>/file", transfer_views.download, name="download"),
    path("volumes/<uuid:uuid>/file", volume_transfer.download, name="volume"),
    path("volumes/<uuid:uuid>/upload", volume_upload.state, name="volume_state"),
    path("volumes/<uuid:uuid>/upload/<int:offset>", volume_upload.take, name="volume_chunk"),
    path("volumes/<uuid:uuid>/finish", volume_upload.finish, name="volume_finish"),
]
