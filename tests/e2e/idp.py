"""A small OpenID Connect provider on loopback, as a company would have one.

It knows one person, asks nothing, and holds its client to the rules: the code once,
with the client's secret and the verifier of PKCE. Tokens are signed with RS256.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

CLIENT, SECRET = "policyhub", "a secret between the two"


class Provider:
    """The provider, from its making until `close`; `email` is who logs in, and
    `verified` whether the provider vouches for that address."""

    def __init__(self) -> None:
        self.email = "dana@example.org"
        self.verified, self.refuses = True, False
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self._codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def discovery(self, asked) -> dict:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def keys(self, asked) -> dict:
        public = json.loads(RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": "1", "alg": "RS256", "use": "sig"}]}

    def authorize(self, asked: dict[str, str]) -> str:
        assert asked["client_id"] == CLIENT
        assert asked["response_type"] == "code"
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        answer = {"state": asked["state"]}
        if self.refuses:
            answer["error"] = "access_denied"
        else:
            answer["code"] = secrets.token_urlsafe(16)
            self._codes[answer["code"]] = asked
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def token(self, asked: dict[str, str]) -> dict:
        began = self._codes.pop(asked["code"])
        digest = hashlib.sha256(asked["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        assert challenge == began["code_challenge"]
        assert asked["redirect_uri"] == began["redirect_uri"]
        login = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        assert asked["authorization"] == f"Basic {login}"
        moment = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": moment, "exp": moment + 60}
        told = jwt.encode(
            claims | self.person, self._key, algorithm="RS256", headers={"kid": "1"}
        )
        return {"access_token": "opens-userinfo", "token_type": "Bearer"} | {
            "id_token": told
        }

    def userinfo(self, asked: dict[str, str]) -> dict:
        assert asked["authorization"] == "Bearer opens-userinfo"
        return self.person

    @property
    def person(self) -> dict:
        return {"sub": f"person {self.email}", "email": self.email} | {
            "email_verified": self.verified
        }


def _handler(provider: Provider):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self._answer(parts.path, parts.query)

        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            self._answer(self.path, self.rfile.read(size).decode())

        def _answer(self, path: str, query: str) -> None:
            asked = {name: values[0] for name, values in parse_qs(query).items()}
            asked["authorization"] = self.headers.get("Authorization", "")
            known = {
                "/.well-known/openid-configuration": provider.discovery,
                "/authorize": provider.authorize,
                "/token": provider.token,
                "/userinfo": provider.userinfo,
                "/keys": provider.keys,
            }
            said = known[path](asked)
            if isinstance(said, str):
                self.send_response(302)
                self.send_header("Location", said)
                self.end_headers()
                return
            body = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments) -> None:
            """Say nothing."""

    return Handler
