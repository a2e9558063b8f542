"""People in the administration: making accounts, closing them, handing out sign-in links."""

from allauth.account import admin as _allauth_admin  # noqa: F401 - registers what is taken back below
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.debug import sensitive_variables
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm

from accounts.models import User
from accounts.services import signin_link_create

admin.site.unregister(Group)
admin.site.unregister(EmailAddress)  # nothing here sends mail

_LABELS = {"is_staff": "Administrator", "is_active": "May sign in"}
_HELP = {
    "username": "Letters, digits and @ . + - _",
    "is_staff": "Administrators see every run, make accounts, open and close targets.",
    "is_active": "Untick it to close the account; the person's runs stay.",
}


class NewPersonForm(forms.ModelForm):
    """An account without a password: its person comes in with a link and sets one."""

    class Meta:
        model = User
        fields = ("username", "email", "is_staff")
        labels = _LABELS
        help_texts = _HELP

    def save(self, commit: bool = True) -> User:
        self.instance.set_unusable_password()
        return super().save(commit)


class PersonForm(UserChangeForm):
    class Meta(UserChangeForm.Meta):
        labels = _LABELS
        help_texts = _HELP


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):
    """Accounts are closed rather than deleted: a person's runs stay theirs."""

    form = PersonForm
    add_form = NewPersonForm
    add_form_template = None
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "is_staff", "is_active", "last_login"]
    list_filter = ["is_staff", "is_active"]
    filter_horizontal = []
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        ("Rights", {"fields": ["is_active", "is_staff"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["username", "email", "is_staff"]})]
    actions = ["make_signin_links", "close_accounts"]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def response_add(self, request: HttpRequest, obj: User, post_url_continue: str | None = None) -> HttpResponse:
        """The new person's sign-in link at once, for it is what comes next."""
        return self.make_signin_links(request, User.objects.filter(pk=obj.pk))

    @admin.action(description="Make a sign-in link", permissions=["change"])
    @sensitive_variables("links")
    def make_signin_links(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse:
        people = queryset.filter(is_active=True)
        links = [(person, request.build_absolute_uri(signin_link_create(person))) for person in people]
        context = {**self.admin_site.each_context(request), "title": "Sign-in links", "links": links}
        return TemplateResponse(request, "admin/accounts/signin_links.html", context)

    @admin.action(description="Close the account", permissions=["change"])
    def close_accounts(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Whoever is signed in is out with the next request. One's own account stays open."""
        count = queryset.exclude(username=request.user.get_username()).update(is_active=False)
        self.message_user(request, f"Accounts closed: {count}.", messages.SUCCESS)
