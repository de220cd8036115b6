"""The whole URL map on one screen: one include per app."""

from django.urls import include, path

urlpatterns = [
    path("", include("kvweb.portal.urls")),
    path("", include("kvweb.ui.urls")),
    path("vms/", include("vms.urls")),
    path("jobs/", include("kvweb.jobs.urls")),
    path("consoles/", include("vms.session_urls")),
    path("guest/", include("vms.guest_urls")),
    path("networks/", include("networking.urls")),
    path("images/", include("storage.image_urls")),
    path("pools/", include("storage.pool_urls")),
    path("volumes/", include("storage.volume_urls")),
    path("transfer/", include("storage.transfer_urls")),
    path("providers/", include("providers.urls")),
    path("", include("kvweb.accounts.urls")),
    path("accounts/", include("allauth.urls")),
]
