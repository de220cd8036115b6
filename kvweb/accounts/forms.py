"""Forms about keys, projects and people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError

from kvweb.accounts import sshkeys
from kvweb.accounts.models import Project, Role, User


class KeyForm(forms.Form):
    """A public key to keep."""

    public_key = forms.CharField(
        label="Public key",
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": "ssh-ed25519 AAAA… you@laptop"}),
        help_text="The one line of the file that ends in “.pub”, for instance ~/.ssh/id_ed25519.pub.",
        error_messages={"required": "Paste a public key."},
    )
    name = forms.CharField(label="Name", required=False, max_length=80, help_text="Empty: the comment at its end.")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_public_key(self) -> sshkeys.PublicKey:
        text: str = self.cleaned_data["public_key"]
        try:
            key = sshkeys.parse(text)
        except sshkeys.BadKey as exc:
            if sshkeys.is_private(text):
                # It must not travel to the browser a second time.
                self.data = {**{name: self.data[name] for name in self.data}, "public_key": ""}
            raise ValidationError(str(exc), code="bad_key") from None
        for kept in self.user.ssh_keys.all():
            if kept.public_key.split()[:2] == [key.type, key.data]:
                raise ValidationError(f"This key is in your account already, as “{kept.name}”.", code="known")
        return key


class ProjectForm(forms.Form):
    name = forms.CharField(max_length=80, label="Name", error_messages={"required": "Give the project a name."})
    description = forms.CharField(max_length=200, required=False, label="What it is for")

    def __init__(self, *args: Any, project: Project | None = None, **kwargs: Any) -> None:
        if project is not None:
            kwargs["initial"] = {"name": project.name, "description": project.description}
        super().__init__(*args, **kwargs)
        self.project = project

    def clean_name(self) -> str:
        name: str = " ".join(self.cleaned_data["name"].split())
        others = Project.objects.filter(name__iexact=name)
        if self.project is not None:
            others = others.exclude(pk=self.project.pk)
        if others.exists():
            raise ValidationError("Another project has this name; choose another.", code="taken")
        return name


class MemberForm(forms.Form):
    username = forms.CharField(
        max_length=150,
        label="User name",
        error_messages={"required": "Whom? Type a user name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    role = forms.ChoiceField(choices=Role.choices, initial=Role.MEMBER, label="Role")

    def clean_username(self) -> User:
        """Managers may not browse people, so they name one; the whole name, to learn nothing by trying."""
        name: str = self.cleaned_data["username"].strip()
        person = User.objects.filter(username__iexact=name, is_active=True).first()
        if person is None:
            raise ValidationError(f"There is nobody with the user name “{name}”.", code="unknown")
        return person


class PersonForm(forms.Form):
    """A new person, made by an administrator."""

    username = forms.CharField(
        max_length=150,
        label="User name",
        validators=[UnicodeUsernameValidator()],
        error_messages={"required": "Give a user name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    email = forms.EmailField(
        required=False,
        label="E-mail",
        help_text="For signing in with it, and for a forgotten password.",
        error_messages={"invalid": "This is not an e-mail address."},
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    password = forms.CharField(
        strip=False,
        label="First password",
        error_messages={"required": "Give a first password."},
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Tell it to them, and let them change it under “Password”.",
    )
    is_administrator = forms.BooleanField(
        required=False, label="Administrator", help_text="Sees every project, adds providers and people."
    )

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise ValidationError("This user name is taken.", code="taken")
        return name

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email and User.objects.filter(email__iexact=email).exists():
            raise ValidationError("Somebody has this address already.", code="taken")
        return email

    def clean(self) -> dict[str, Any]:
        password = self.cleaned_data.get("password")
        if password:
            person = User(username=self.cleaned_data.get("username", ""), email=self.cleaned_data.get("email", ""))
            try:
                validate_password(password, person)
            except ValidationError as exc:
                self.add_error("password", exc)
        return self.cleaned_data


class PasswordForm(forms.Form):
    """A new first password for somebody who forgot theirs."""

    password = forms.CharField(
        strip=False,
        label="New first password",
        error_messages={"required": "Give a password."},
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, person: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = person

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password, self.person)
        return password
