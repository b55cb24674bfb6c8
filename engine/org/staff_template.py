"""The staff workbook: its two sheets, their columns, and the template that people fill in."""

from collections.abc import Iterable, Mapping, Sequence

from engine.org.models import DepartmentKind
from engine.org.spreadsheet import Columns, write_workbook

DEPARTMENTS, PEOPLE = "部门", "人员"

DEPARTMENT_COLUMNS: Columns = {
    "部门编码": 12, "部门名称": 20, "部门类别": 12, "上级部门编码": 14, "负责人工号": 12, "分管院领导工号": 16,
    "排序": 8, "状态": 8,
}  # fmt: skip
PERSON_COLUMNS: Columns = {
    "工号": 12, "姓名": 12, "部门编码": 12, "岗位": 14, "直接上级工号": 14, "手机": 16, "邮箱": 30, "兼职": 24,
    "排序": 8, "状态": 8, "姓名拼音": 18,
}  # fmt: skip
COLUMNS = {DEPARTMENTS: DEPARTMENT_COLUMNS, PEOPLE: PERSON_COLUMNS}
REQUIRED = {  # the first is the key
    DEPARTMENTS: ("部门编码", "部门名称", "部门类别"),
    PEOPLE: ("工号", "姓名", "部门编码"),
}
KINDS: Mapping[str, DepartmentKind] = {
    "院领导": DepartmentKind.LEADERSHIP,
    "职能科室": DepartmentKind.OFFICE,
    "临床": DepartmentKind.CLINICAL,
    "医技": DepartmentKind.MEDICAL_TECH,
}
ACTIVE, DISABLED = "在职", "停用"
EXAMPLE = "示例"  # a row whose first cell begins so is not imported

_NOTES = (
    "一、先填“部门”，再填“人员”。两张表的第一行是列名，不要改动；可以调整列的顺序，可以删去不用的列。",
    "二、部门：部门编码、部门名称、部门类别必填。部门类别填：院领导、职能科室、临床、医技。部门最多三级，最上一级的上级部门编码留空。",
    "三、人员：工号、姓名、部门编码必填。工号和部门编码由字母、数字、- 和 _ 组成，不能重复。",
    "四、直接上级工号只在直接上级不是本科室负责人时填写，例如护士的直接上级是护士长。",
    "五、兼职填兼任部门的编码，可加冒号和岗位，多个之间用分号隔开，例如 NK01:质控员;ZK。",
    "六、排序是整数，小的在前；状态填 在职 或 停用，留空为在职。调离的人填 停用，不要删行：文件中没有的人保持不变。",
    "七、姓名拼音只在系统读错时填写，姓在前，音节之间用空格，例如 zeng wei。",
    "八、可以重复导入：工号、部门编码相同的更新，新的增加。删去的列保持系统中原有的内容，列在而单元格空则清空。任何一行有错，整个文件都不导入。",
    f"九、首列以“{EXAMPLE}”开头的行不导入，可以保留作参考。请把数字列保持为文本格式，超过 15 位的数字会被 Excel 改变。",
)


def template() -> bytes:
    """Return the empty staff workbook (xlsx) with one example row in each sheet and a sheet of instructions."""
    return staff_workbook(
        [[f"{EXAMPLE}NK01", "心血管内科", "临床", "NK", "10086", "10002", "10", ACTIVE]],
        [[f"{EXAMPLE}10086", "曾伟", "NK01", "科主任", "", "13800000001", "zengwei@hospital.example", "ZK:质控员", "20",
          ACTIVE, "zeng wei"]],
    )  # fmt: skip


def staff_workbook(departments: Iterable[Sequence[str | int]], people: Iterable[Sequence[str | int]]) -> bytes:
    """Return a staff workbook (xlsx) with these rows, in the order of DEPARTMENT_COLUMNS and PERSON_COLUMNS."""
    return write_workbook({DEPARTMENTS: (DEPARTMENT_COLUMNS, departments), PEOPLE: (PERSON_COLUMNS, people)}, _NOTES)
