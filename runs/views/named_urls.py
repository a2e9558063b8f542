"""The addresses of named environments."""

from django.urls import path

from runs.views import named_environments as views

urlpatterns = [
    path("environments/named/", views.named_list, name="named-environments"),
    path("environments/named/new", views.named_new, name="named-environment-new"),
    path("environments/named/<int:named_id>/", views.named, name="named-environment"),
    path("environments/named/<int:named_id>/edit/", views.named_change, name="named-environment-edit"),
    path("environments/named/<int:named_id>/archive/", views.archive, name="named-environment-archive"),
    path("environments/named/<int:named_id>/delete/", views.delete, name="named-environment-delete"),
    path("environments/named/<int:named_id>/build/", views.build, name="named-environment-build"),
]
