"""A course of forty: all of them, or none, with every problem told at once."""

from __future__ import annotations

import pytest

from physlab.collab.people import People
from physlab.collab.people.course import admit, read_course
from physlab.errors import ValidationError
from tests.unit.collab.people.conftest import PASSWORD


def test_a_course_of_forty(people: People) -> None:
    table = "name,mail\n" + "".join(f"Student {number},student{number}@uni.example\n" for number in range(40))
    newcomers = read_course(people, table)
    assert people.accounts.list() == []
    made = admit(people, newcomers)
    assert [each.person.login for each in made][:2] == ["student0", "student1"]
    assert len({each.code for each in made}) == 40 == len(people.accounts.list())
    people.passwords.set_by_code(made[17].code, PASSWORD)
    assert people.door.sign_in("student17@uni.example", PASSWORD).visit.person == made[17].person.id
    with pytest.raises(ValidationError) as error:
        read_course(people, table)
    assert len(error.value.details["problems"]) == 40


def test_a_table_as_a_spreadsheet_writes_it(people: People) -> None:
    table = '\ufeffName;Mail;Role;Login\r\n"Noether; Emmy";en@uni.example;Administrator;emmy\r\n;;;\r\nMax Groß;;;\r\n'
    first, second = read_course(people, table)
    assert (first.login, first.name, first.mail, first.administrator) == (
        "emmy",
        "Noether; Emmy",
        "en@uni.example",
        True,
    )
    assert (second.login, second.mail, second.administrator) == ("max.gross", None, False)


def test_logins_are_made_so_that_nobody_has_them(people: People) -> None:
    people.accounts.create("anna", "Anna")
    table = "login,name,mail\n,A,anna@a.example\n,B,anna@b.example\nanna2,C,c@c.example\n"
    table += ",D,42@d.example\n,E,lab@e.example\n"
    assert [one.login for one in read_course(people, table)] == ["anna3", "anna4", "anna2", "person", "person.lab"]
    assert len(admit(people, read_course(people, table))) == 5


def test_every_problem_is_told_with_its_line(people: People) -> None:
    people.accounts.create("anna", "Anna", "anna@example.org")
    table = """login,name,mail,role
anna,Another,other@example.org,
berta,Berta,berta@example.org,king
cora,,cora@example.org,
dora,Dora,berta@example.org,
dora,Dora Two,nobody,
emmy,Emmy
frida,Frida,ANNA@example.org,
"""
    with pytest.raises(ValidationError) as error:
        read_course(people, table)
    problems = error.value.details["problems"]
    wanted = ("line 7: 2 cells", "line 2: the login 'anna'", "line 3: 'king'", "line 4: '' cannot be a name",
              "line 5: the mail address 'berta@example.org' stands in line 3", "line 6: 'nobody'",
              "line 6: the login 'dora' is taken", "line 8: 'anna@example.org' has an account")  # fmt: skip
    for words in wanted:
        assert any(problem.startswith(words) for problem in problems), (words, problems)
    assert len(problems) == len(wanted) and len(people.accounts.list()) == 1


@pytest.mark.parametrize(
    "table", ["", "name,mail\n", "name\nA\n", "name,mail,colour\nA,a@example.org,red\n", "name,name,mail\nA,B,c@d.ef\n",
              'name,mail\n"A,a@example.org\n'],
)  # fmt: skip
def test_what_is_no_table_is_refused(people: People, table: str) -> None:
    with pytest.raises(ValidationError):
        read_course(people, table)


def test_nothing_is_half_made(people: People) -> None:
    newcomers = read_course(people, "name,mail\nA,aa@example.org\nB,bb@example.org\n")
    people.accounts.create("bb", "Somebody meanwhile")
    with pytest.raises(ValidationError, match="taken"):
        admit(people, newcomers)
    assert [person.login for person in people.accounts.list()] == ["bb"]
